# SPDX-License-Identifier: MIT
"""The conformance suite: what every channel does. A new channel is a subclass that names its kind."""

from __future__ import annotations

from tests.contracts.callbacks import Callbacks
from tests.contracts.carrying import Carrying
from tests.contracts.death import Death
from tests.contracts.ending import Ending
from tests.contracts.flow import Flow
from tests.contracts.metrics import Metrics
from tests.contracts.stopping import Stopping
from tests.contracts.together import Together

__all__ = ["ChannelContract"]


class ChannelContract(Carrying, Flow, Ending, Together, Death, Callbacks, Stopping, Metrics):
    """All parts of the suite: subclass it as ``TestSomething`` with ``kind`` set."""
