// A gateway below /xet of an Express server: node express.mjs FOLDER
import express from 'express';
import { loadKernels } from 'orbweaver';
import { createDiskStore, createGateway, createNodeListener } from 'orbweaver/gateway';

const [folder = './store'] = process.argv.slice(2);
const gateway = createGateway({
  store: await createDiskStore(folder),
  ...(await loadKernels()),
  tokens: [{ token: process.env.WRITE_TOKEN ?? 'writer', scope: 'write' }],
});

const app = express();
// In front of parsers, so that bodies are read as they arrive.
app.use('/xet', createNodeListener(gateway));
app.use(express.json());
app.get('/', (_request, response) => response.send('something else'));

const server = app.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}/xet`);
});

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    gateway.drain();
    server.close(() => gateway.close());
    server.closeIdleConnections();
  });
}
