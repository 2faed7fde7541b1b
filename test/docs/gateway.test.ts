import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createGateway, createMemoryStore } from '../../src/gateway.js';
import { loadKernels } from '../../src/index.js';

const text = readFileSync(new URL('../../docs/gateway.md', import.meta.url), 'utf8');
const HASH = 'a'.repeat(64);

/** Methods and paths of a cell such as `GET /v2/x/{hash}`, `GET /v1/…`. */
function endpointsOf(cell: string): { method: string; path: string }[] {
  const found = [...cell.matchAll(/`([A-Z]+) ([^`]+)`/g)];
  const [first] = found;
  return found.map(([, method, path]) => ({
    method: method as string,
    path: (path as string)
      // The same path under another version.
      .replace(/^(\/v\d)\/…$/, (_, version) =>
        (first?.[2] ?? '').replace(/^\/v\d/, version as string),
      )
      .replaceAll('…', '')
      .replaceAll('{prefix}', 'default')
      .replace(/\{[a-z]+\}/g, HASH)
      .replace(/=$/, `=${HASH}`),
  }));
}

describe('the endpoints of docs/gateway.md', () => {
  const section = text.split('\n## Endpoints\n')[1]?.split('\n## ')[0] ?? '';
  const rows = [...section.matchAll(/^\| (`.*`) \| ([a-z]+) \| .* \|$/gm)].flatMap(
    ([, cell, scope]) =>
      endpointsOf(cell as string).map((endpoint) => ({ ...endpoint, scope: scope as string })),
  );

  it('are there, and want the token that the table says', async () => {
    expect(rows.length).toBeGreaterThan(8);
    const { hasher, codec } = await loadKernels();
    const gateway = createGateway({
      store: createMemoryStore(),
      hasher,
      codec,
      tokens: [
        { token: 'reader', scope: 'read' },
        { token: 'writer', scope: 'write' },
      ],
    });
    const ask = async (row: (typeof rows)[number], token?: string): Promise<number> => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const body = row.method === 'POST' ? { body: '[]' } : {};
      const url = `http://127.0.0.1${row.path}`;
      const response = await gateway.handle(
        new Request(url, { method: row.method, headers, ...body }),
      );
      await response.body?.cancel();
      return response.status;
    };
    for (const row of rows) {
      const name = `${row.method} ${row.path}`;
      if (row.scope === 'none') expect(await ask(row), name).toBe(200);
      else if (row.scope === 'signed') expect(await ask(row), name).toBe(403);
      // An endpoint that is not there is a 404 whatever the token.
      else expect(await ask(row), name).toBe(401);
      if (row.scope === 'write') expect(await ask(row, 'reader'), name).toBe(403);
      if (row.scope === 'read') expect([401, 403], name).not.toContain(await ask(row, 'reader'));
    }
    await gateway.close();
  });
});
