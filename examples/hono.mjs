// A gateway below /xet of a Hono application: node hono.mjs FOLDER
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { Hono } from 'hono';
import { loadKernels } from 'orbweaver';
import { createDiskStore, createGateway } from 'orbweaver/gateway';

const [folder = './store'] = process.argv.slice(2);
const gateway = createGateway({
  store: await createDiskStore(folder),
  ...(await loadKernels()),
  tokens: [{ token: process.env.WRITE_TOKEN ?? 'writer', scope: 'write' }],
});

const app = new Hono();
app.all('/xet/*', (c) => gateway.handle(c.req.raw, { prefix: '/xet' }));
app.get('/', (c) => c.text('something else'));

// Where Hono runs elsewhere, its adapter does this: @hono/node-server, Bun.serve, Deno.serve.
const server = createServer(async (incoming, outgoing) => {
  const hasBody = incoming.method !== 'GET' && incoming.method !== 'HEAD';
  const request = new Request(`http://${incoming.headers.host}${incoming.url}`, {
    method: incoming.method,
    headers: incoming.headers,
    ...(hasBody && { body: Readable.toWeb(incoming), duplex: 'half' }),
  });
  const response = await app.fetch(request);
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  if (response.body === null) outgoing.end();
  else Readable.fromWeb(response.body).pipe(outgoing);
});
server.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}/xet`);
});
process.once('SIGTERM', () => server.close(() => gateway.close()));
