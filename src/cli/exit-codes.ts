/** The table of exit codes as every command's help repeats it; the numbers live in errors.ts. */
export const EXIT_CODES_HELP: string = `Exit codes:
  0    done
  1    a fault of orbweaver itself
  2    wrong command line, option or hash
  3    an input is missing, unreadable, changed or unsafe
  4    the server refused the token
  5    the server does not have the file
  6    data is damaged: a hash, size or format is wrong
  7    the network or the server failed
  8    the disk is full or cannot be written
  9    some files failed, the others are done; bench: a contender failed
  10   bench --fail-on-regression: a figure is worse than before, beyond the noise
  130  interrupted`;

/** Options that every command understands. */
export const COMMON_HELP: string = `  --json                machine-readable result: one line of JSON, the last one on standard output
  -q, --quiet           no progress, only the result
  --verbose             error details with their causes
  -h, --help            this text`;

/** Options of commands that talk to a server. */
export const SERVER_HELP: string = `  --endpoint URL        content-addressed store to talk to   [$ORBWEAVER_ENDPOINT]
  --token T             bearer token for it                  [$ORBWEAVER_TOKEN]`;

/** Options of commands that compute. */
export const COMPUTE_HELP: string = `  --workers N           worker threads, 0 for none           [one per core]
  --max-memory BYTES    bound on all buffers, such as 96MiB  [smaller of 96 MiB and 1/8 of memory]
  --tier T              kernels: auto, simd, portable, readable`;
