// Loaded before a program (--import): notes every host that the process connects to, asks a name server for or
// sends datagrams to, one a line, in the file that $CONTACTS names.
import dgram from 'node:dgram';
import dns from 'node:dns';
import { appendFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';

const note = (text) => appendFileSync(process.env.CONTACTS, `${text}\n`);
const { connect } = net.Socket.prototype;
net.Socket.prototype.connect = function (...args) {
  const first = Array.isArray(args[0]) ? args[0][0] : args[0];
  const {
    host = 'localhost',
    port,
    path,
  } = typeof first === 'object' ? first : { port: first, host: args[1] };
  note(`connect ${path ?? `${host}:${port}`}`);
  return connect.apply(this, args);
};
for (const of of [dns, dns.promises]) {
  for (const name of Object.keys(of)) {
    const original = of[name];
    if (!/^(?:lookup$|resolve)/.test(name) || typeof original !== 'function') continue;
    of[name] = function (host, ...args) {
      // An address is no question.
      if (net.isIP(host) === 0) note(`dns ${host}`);
      return original.call(this, host, ...args);
    };
  }
}
const { send } = dgram.Socket.prototype;
dgram.Socket.prototype.send = function (...args) {
  note('datagram');
  return send.apply(this, args);
};
syncBuiltinESMExports();
