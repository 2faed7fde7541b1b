import { describe, expect, it } from 'vitest';
import { linesOf } from '../../../src/gateway/hub/commit-body.js';
import { piecesBody } from '../../../src/http/index.js';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('the body of a commit', () => {
  it('has memory for each line before more of it is read', async () => {
    const events: string[] = [];
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (const text of ['aaaa', 'bbbb', 'cc\ndd\n']) {
        events.push(`read ${text.length}`);
        yield bytes(text);
      }
    }
    const lines: string[] = [];
    const body = piecesBody(pieces(), 14);
    const hold = async (held: number): Promise<void> => void events.push(`hold ${held}`);
    for await (const line of linesOf(body, hold)) lines.push(new TextDecoder().decode(line));
    expect(lines).toEqual(['aaaabbbbcc', 'dd']);
    // Five times what of a line is there, and what has come with it.
    expect(events).toEqual(['read 4', 'hold 20', 'read 4', 'hold 40', 'read 6', 'hold 70']);
  });

  it('ends with what refuses the memory', async () => {
    async function* pieces(): AsyncGenerator<Uint8Array> {
      yield bytes('a line\n');
    }
    const lines = linesOf(piecesBody(pieces(), 7), () => Promise.reject(new Error('none left')));
    await expect(lines.next()).rejects.toThrow('none left');
  });
});
