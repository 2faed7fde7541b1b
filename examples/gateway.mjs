// A gateway over a folder: node gateway.mjs FOLDER
import { createGatewayLog, createPrometheusMetrics, startGateway } from 'orbweaver/gateway';

const [data = './store'] = process.argv.slice(2);
const log = createGatewayLog({ write: (lines) => process.stderr.write(lines) });
const gateway = await startGateway({
  data,
  port: Number(process.env.PORT ?? 8080),
  tokens: [
    { token: process.env.READ_TOKEN ?? 'reader', scope: 'read' },
    { token: process.env.WRITE_TOKEN ?? 'writer', scope: 'write' },
  ],
  onAccess: log.onAccess,
  onFault: log.onFault,
  onWarning: log.onWarning,
  metrics: await createPrometheusMetrics(),
  metricsListen: { port: 0 },
});
console.log(gateway.url);
console.log(gateway.metricsUrl);

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    await gateway.close();
    log.flush();
  });
}
