// Counts up a value of the store in the folder that it is given, and says so after each step.
import { createDiskStore } from 'orbweaver/gateway';

const { values } = await createDiskStore(process.argv[2], { sync: false });
for (;;) {
  const seen = await values.read('hub/n');
  const next = seen === null ? 1 : Number(new TextDecoder().decode(seen.bytes)) + 1;
  const bytes = new TextEncoder().encode(String(next));
  const version = await values.write('hub/n', bytes, seen?.version ?? null);
  if (version !== null) await new Promise((sent) => process.send('step', sent));
}
