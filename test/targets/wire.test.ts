import { createServer, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { RateLimit } from '../../src/flow/index.js';
import { type Body, bytesBody, readAll } from '../../src/http/index.js';
import { SYSTEM_CLOCK } from '../../src/platform/index.js';
import { createTargetWire, type TargetWire } from '../../src/transport/targets.js';
import { TEST_CERTIFICATE, TEST_KEY } from '../transport/tls-fixture.js';

/** How upload targets are reached: through a proxy, with a private authority, within a rate. */

const opened: { close(): void }[] = [];
afterEach(() => {
  for (const each of opened.splice(0)) each.close();
});

async function listening(server: Server): Promise<number> {
  opened.push({
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

function wire(options: Parameters<typeof createTargetWire>[0]): TargetWire {
  const made = createTargetWire(options);
  opened.push(made);
  return made;
}

const sizes = createServer;
/** Says how many bytes came. */
const counting = (): Server =>
  sizes((request, response) => {
    let count = 0;
    request.on('data', (piece: Buffer) => {
      count += piece.length;
    });
    request.on('end', () => response.end(String(count)));
  });

const put = async (over: TargetWire, url: string, body: Body | null): Promise<string> => {
  const { signal } = new AbortController();
  const response = await over.exchange({
    method: 'PUT',
    url: new URL(url),
    headers: {},
    body,
    signal,
  });
  const bytes = response.body === null ? new Uint8Array(0) : await readAll(response.body, 1000);
  return `${response.status} ${new TextDecoder().decode(bytes)}`;
};

describe('the wire of upload targets', () => {
  it('goes through a proxy, but not to the hosts that it is not for', async () => {
    const port = await listening(counting());
    const asked: string[] = [];
    const proxy = sizes();
    proxy.on('connect', (request, socket: Socket, head: Buffer) => {
      asked.push(request.url ?? '');
      const [host, to] = (request.url ?? '').split(':');
      const onward = connect(Number(to), host, () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        onward.write(head);
        onward.pipe(socket).pipe(onward);
      });
      for (const each of [onward, socket]) each.on('error', () => each.destroy());
    });
    const options = { proxy: `http://127.0.0.1:${await listening(proxy)}`, noProxy: ['localhost'] };
    const over = wire(options);
    expect(await put(over, `http://127.0.0.1:${port}/a`, bytesBody(new Uint8Array(5)))).toBe(
      '200 5',
    );
    expect(asked).toEqual([`127.0.0.1:${port}`]);
    expect(await put(over, `http://localhost:${port}/a`, null)).toBe('200 0');
    expect(asked).toHaveLength(1);
    expect(() => createTargetWire({ proxy: 'socks5://x' })).toThrow(TypeError);
  });

  it('trusts the authority that it is told, and no other', async () => {
    const server = createSecureServer({ cert: TEST_CERTIFICATE, key: TEST_KEY }, (_, response) =>
      response.end('secure'),
    );
    const url = `https://localhost:${await listening(server as unknown as Server)}/`;
    expect(await put(wire({ ca: TEST_CERTIFICATE }), url, null)).toBe('200 secure');
    await expect(put(wire({}), url, null)).rejects.toThrow();
    expect(() => createTargetWire({ ca: 'none' })).toThrow(TypeError);
  });

  it('sends no more than its rate grants, from memory and from pieces', async () => {
    const port = await listening(counting());
    const upload = new RateLimit(SYSTEM_CLOCK, 1_000_000_000);
    let granted = 0;
    let count = 0;
    upload.take = async (wantedBytes) => {
      count++;
      const bytes = Math.min(wantedBytes, 1000);
      granted += bytes;
      return bytes;
    };
    upload.giveBack = (bytes) => {
      granted -= bytes;
    };
    const over = wire({ rates: { upload } });
    const bytes = new Uint8Array(10_500);
    expect(await put(over, `http://127.0.0.1:${port}/`, bytesBody(bytes))).toBe('200 10500');
    let left = bytes.length;
    const pieces: Body = {
      async fill(into) {
        const length = Math.min(into.length, left, 700);
        left -= length;
        return length;
      },
      cancel() {},
    };
    expect(await put(over, `http://127.0.0.1:${port}/`, pieces)).toBe('200 10500');
    expect(granted).toBe(2 * bytes.length);
    expect(count).toBeGreaterThanOrEqual(26);
  });

  it('reads nothing more of a body when the response came before its end', async () => {
    const port = await listening(
      sizes((_, response) => {
        response.statusCode = 413;
        response.end('too large');
      }),
    );
    let isCancelled = false;
    let more = 0;
    const endless: Body = {
      sizeBytes: 1 << 40,
      async fill(into) {
        if (isCancelled) more++;
        // As much as the connection takes, and then it waits.
        return into.length;
      },
      cancel() {
        isCancelled = true;
      },
    };
    expect(await put(wire({}), `http://127.0.0.1:${port}/`, endless)).toBe('413 too large');
    expect(isCancelled).toBe(true);
    expect(more).toBe(0);
  });
});
