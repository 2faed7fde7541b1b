// A gateway below /xet of a Fastify server: node fastify.mjs FOLDER
import fastify from 'fastify';
import { loadKernels } from 'orbweaver';
import { createDiskStore, createFastifyPlugin, createGateway } from 'orbweaver/gateway';

const [folder = './store'] = process.argv.slice(2);
const gateway = createGateway({
  store: await createDiskStore(folder),
  ...(await loadKernels()),
  tokens: [{ token: process.env.WRITE_TOKEN ?? 'writer', scope: 'write' }],
});

const app = fastify({ forceCloseConnections: 'idle' });
await app.register(createFastifyPlugin(gateway), { prefix: '/xet' });
app.get('/', async () => 'something else');
const url = await app.listen({ port: Number(process.env.PORT ?? 8080) });
console.log(`${url}/xet`);

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    gateway.drain();
    await app.close();
    await gateway.close();
  });
}
