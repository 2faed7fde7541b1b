// Client and gateway in one process, without a socket: node in-process.mjs
import { createClient, loadKernels } from 'orbweaver';
import { createGateway, createMemoryStore } from 'orbweaver/gateway';

const gateway = createGateway({
  store: createMemoryStore(),
  ...(await loadKernels()),
  authenticate: () => ({ id: 'myself', scope: 'write' }),
});
const client = await createClient({
  endpoint: 'http://gateway.internal',
  token: 'never-leaves-this-process',
  exchange: gateway.exchange,
});

const data = crypto.getRandomValues(new Uint8Array(60_000));
const { files } = await client.upload([
  { name: 'first', data },
  { name: 'again', data },
]);
const [first, again] = files;
console.log(`${first.fileHash} stored ${first.newBytes} bytes, the second time ${again.newBytes}`);

const file = await client.open(first.fileHash);
console.log(`bytes 10 to 14 are ${await file.read(10, 4)}`);
await file.close();
await client.close();
await gateway.close();
