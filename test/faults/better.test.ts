import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/**
 * Mistakes that clients of this protocol were seen to make, and the tests that show that this one does
 * not. Here they can be found; that they are there is what is tested.
 */
const ROWS: readonly {
  readonly mistake: string;
  readonly file: string;
  readonly tests: readonly string[];
}[] = [
  {
    mistake: 'A file that came out too short, or wrong, is reported as success.',
    file: 'faults/table.ts',
    tests: ['the reconstruction is that of a shorter file', 'a corrupt byte'],
  },
  {
    mistake:
      'A server without grants costs a 404 for every xorb; one that hangs, minutes for each.',
    file: 'transport/grants.test.ts',
    tests: [
      'asking that brings nothing means POST, within 15 seconds',
      'a store that cannot be reached is remembered, and the user is told',
    ],
  },
  {
    mistake: 'A redirect of a put counts as success, and hands a signed URL to another host.',
    file: 'transport/grants.test.ts',
    tests: ['a redirect of a put (%d) leads nowhere'],
  },
  {
    mistake: 'Headers of the caller go to storage hosts; URLs of grants are not checked.',
    file: 'transport/grants.test.ts',
    tests: ['is asked for, put without the token, and committed', 'a URL with %s is not asked'],
  },
  {
    mistake: 'A time limit over a whole body, whatever its progress.',
    file: 'transport/xorb-upload.test.ts',
    tests: [
      'lets a body live that is read slowly',
      'gives a body up that nobody reads, after 30 s without progress, and tries again',
    ],
  },
  {
    mistake: 'A 401 is final, Retry-After is ignored.',
    file: 'faults/table.ts',
    tests: ['the token is refused (401)', '429 with Retry-After', '503 with Retry-After'],
  },
  {
    mistake: 'One commit that fails ends the session.',
    file: 'transport/grants.test.ts',
    tests: [
      'is committed again when the response to that was lost',
      'is posted when the commit fails otherwise',
    ],
  },
  {
    mistake: 'A dedup query that fails stalls or ends the upload.',
    file: 'faults/table.ts',
    tests: ['a dedup query ', 'is not responded to', 'brings a corrupt shard'],
  },
  {
    mistake: 'Responses to dedup queries are taken whatever their size.',
    file: 'transport/queries.test.ts',
    tests: ['is a miss for an answer that turns out too large'],
  },
  {
    mistake: 'The right to send idles while a grant is asked for and a commit waits.',
    file: 'transport/grants.test.ts',
    tests: ['waits for its turn with the bytes only: asks before, commits after'],
  },
  {
    mistake: 'A download that was interrupted starts at zero.',
    file: 'client/resume.test.ts',
    tests: ['goes on, and what was verified is not fetched again'],
  },
  {
    mistake: 'Memory grows with the machine, not with a budget.',
    file: 'workers/pool.test.ts',
    tests: ['refuses options out of range and keeps to its memory'],
  },
];

describe('mistakes that others make', () => {
  it.each(ROWS.map((row) => [row.mistake, row] as const))('%s', async (_, { file, tests }) => {
    const text = await readFile(fileURLToPath(new URL(`../${file}`, import.meta.url)), 'utf8');
    for (const name of tests) expect(text).toContain(name);
  });
});
