/**
 * What happens when there are no threads to be had because their files are missing: an application
 * that was bundled into one file has neither our worker programs nor piscina's. Everything then
 * runs on the calling thread, which works and is slower, so that is said once per pool.
 */
export function warnThreadless(cause: unknown): void {
  const reason = cause instanceof Error ? cause.message : String(cause);
  process.emitWarning(
    `worker threads cannot be started (${reason}); hashing and compression run on the calling ` +
      'thread. Keep "orbweaver" and "piscina" external when bundling.',
    { type: 'OrbweaverWarning', code: 'ORBWEAVER_THREADLESS' },
  );
}
