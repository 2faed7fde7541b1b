import { expect, it } from 'vitest';
import { copyInto } from '../../src/platform/index.js';
it('overlap', () => {
  let bad = 0, n = 0;
  for (const Kind of [ArrayBuffer, SharedArrayBuffer]) for (const len of [1,7,8,31,40,100,5000,70000]) for (const shift of [-9000,-8,-1,1,3,8,100,4096]) {
    const buf = new Uint8Array(new Kind(200000)); const ref = new Uint8Array(200000);
    for (let i = 0; i < buf.length; i++) ref[i] = buf[i] = (i * 2654435761) >>> 13;
    copyInto(buf, 20000 + shift, buf.subarray(20000, 20000 + len)); ref.set(ref.slice(20000, 20000 + len), 20000 + shift);
    n++; if (Buffer.compare(buf, ref)) { bad++; console.log(Kind.name, len, shift); }
  }
  console.log(bad, 'of', n);
});
it('lengths', () => {
  for (const K of [ArrayBuffer, SharedArrayBuffer]) for (const L of [ArrayBuffer, SharedArrayBuffer]) for (let len = 0; len <= 40; len++) for (let to = 0; to < 9; to++) for (let from = 0; from < 9; from++) {
    const t = new Uint8Array(new K(80), 3, 70), s = new Uint8Array(new L(60)); for (let i = 0; i < 60; i++) s[i] = i + 1;
    copyInto(t, to, s.subarray(from, from + len));
    for (let i = 0; i < 70; i++) if (t[i] !== (i >= to && i < to + len ? from + i - to + 1 : 0)) throw new Error(`${len} ${to} ${from}`);
  }
  for (const at of [-1, 0.5, NaN, 71]) for (const K of [ArrayBuffer, SharedArrayBuffer]) { let r = 'ok'; try { copyInto(new Uint8Array(new K(70)), at, new Uint8Array([1,2])); } catch (e) { r = (e as Error).name; } console.log(at, K.name, r); }
});
