// SPDX-License-Identifier: MIT
// The same program as lines_peer.py, for node and its standard library: another language, another way of reading.
'use strict';

const fs = require('node:fs');
const net = require('node:net');
const readline = require('node:readline');

const FIELDS = ['id', 'method', 'event', 'error'];

function documentOf(message) {
  const document = { type: message.type, data: 'data' in message ? message.data : {} };
  for (const field of FIELDS) {
    if (message[field]) document[field] = message[field];
  }
  return document;
}

function messageOf(document) {
  const message = { type: 'data', data: {}, id: null, method: null, event: null, error: null };
  for (const field of Object.keys(message)) {
    if (field in document) message[field] = document[field];
  }
  return message;
}

function escapedJson(document) {
  return JSON.stringify(document).replace(
    /[\u007f-\uffff]/g,
    (unit) => '\\u' + unit.charCodeAt(0).toString(16).padStart(4, '0'),
  );
}

// One connection. Chunks are kept until a line is whole; whoever waits for a line is told when it is.
class LineSocket {
  constructor(socket) {
    this.socket = socket;
    this.rest = [];
    this.lines = [];
    this.hasEnded = false;
    this.waiting = null;
    socket.on('data', (chunk) => this.take(chunk));
    for (const event of ['end', 'close', 'error']) {
      socket.on(event, () => { this.hasEnded = true; this.tell(); });
    }
  }

  take(chunk) {
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10)) {
      this.lines.push(Buffer.concat([...this.rest, chunk.subarray(0, end + 1)]));
      this.rest = [];
      chunk = chunk.subarray(end + 1);
    }
    if (chunk.length) this.rest.push(chunk);
    this.tell();
  }

  tell() {
    if (this.waiting && (this.lines.length || this.hasEnded)) {
      const resolve = this.waiting;
      this.waiting = null;
      resolve(this.lines.length ? this.lines.shift() : Buffer.concat(this.rest));
    }
  }

  line() {
    return new Promise((resolve) => { this.waiting = resolve; this.tell(); });
  }

  write(data) {
    return new Promise((resolve, reject) => {
      this.socket.write(data, (error) => (error ? reject(error) : resolve(null)));
    });
  }

  send(message, escaped = false) {
    const document = documentOf(message);
    return this.write((escaped ? escapedJson(document) : JSON.stringify(document)) + '\n');
  }

  async receive() {
    const line = (await this.line()).toString('utf8').trim();
    return line ? messageOf(JSON.parse(line)) : null;
  }
}

let server = null;
let accepted = [];
let accepting = null;
let channel = null;

const commands = {
  listen(path) {
    fs.rmSync(path, { force: true });
    return new Promise((resolve, reject) => {
      server = net.createServer({ allowHalfOpen: true }, (socket) => {
        accepted.push(new LineSocket(socket));
        if (accepting) accepting();
      });
      server.once('error', reject);
      server.listen(path, () => resolve(null));
    });
  },

  async accept() {
    while (!accepted.length) await new Promise((resolve) => { accepting = resolve; });
    channel = accepted.shift();
    return null;
  },

  connect(path) {
    return new Promise((resolve, reject) => {
      const socket = net.createConnection({ path, allowHalfOpen: true }, () => {
        channel = new LineSocket(socket);
        resolve(null);
      });
      socket.once('error', reject);
    });
  },

  send: (message, escaped) => channel.send(message, escaped),
  receive: () => channel.receive(),
  send_bytes: (digits) => channel.write(Buffer.from(digits, 'hex')),
  receive_line: async () => (await channel.line()).toString('hex'),

  async exchange_large(size) {
    await channel.send({ type: 'data', data: '大'.repeat(size) });
    return (await channel.receive()).data === '小'.repeat(size);
  },

  async serve() {
    await channel.send({ type: 'ready', data: { handlers: ['echo'] } });
    for (let count = 0; ; ) {
      const message = await channel.receive();
      if (message === null) return count;
      if (message.type === 'request') {
        await channel.send({ type: 'event', event: 'called', data: message.method });
        await channel.send({ type: 'response', id: message.id, data: message.data });
        count += 1;
      }
    }
  },

  end_writing() { channel.socket.end(); return null; },
  close() { channel.socket.destroy(); return null; },

  close_server() {
    server.close();    // node unlinks the path
    return null;
  },

  forget() {
    for (const one of [channel, ...accepted]) if (one) one.socket.destroy();
    if (server) server.close();
    channel = server = null;
    accepted = [];
    return null;
  },
};

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    const [name, ...arguments_] = JSON.parse(line);
    let answer;
    try {
      answer = ['ok', (await commands[name](...arguments_)) ?? null];
    } catch (error) {
      answer = ['error', String(error)];
    }
    process.stdout.write(JSON.stringify(answer) + '\n');
  }
  process.exit(0);
}

main();
