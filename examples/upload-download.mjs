// Uploads a file, downloads it again, and reads a range: node upload-download.mjs FILE
import { createClient } from 'orbweaver';

const [path = process.execPath] = process.argv.slice(2);
const client = await createClient({
  endpoint: process.env.ORBWEAVER_ENDPOINT ?? 'http://127.0.0.1:8080',
  token: process.env.ORBWEAVER_TOKEN,
});
try {
  const { files, failed } = await client.upload(path);
  for (const { path, message } of failed) console.error(`${path}: ${message}`);
  for (const { fileHash, sizeBytes, newBytes } of files) {
    console.log(`${fileHash} ${sizeBytes} bytes, ${newBytes} of them new`);
    // Every byte is checked before the name appears.
    await client.download(fileHash, { to: 'copy.bin' });
    let length = 0;
    for await (const piece of client.stream(fileHash, { offset: 1000, length: 4096 })) {
      length += piece.length;
    }
    console.log(`copy.bin, and ${length} bytes from the middle`);
  }
} finally {
  await client.close();
}
