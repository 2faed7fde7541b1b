/**
 * What can go wrong on a Cascade server, to be switched on while it runs. Those marked "once" switch
 * themselves off when they have happened.
 */
export interface CascadeFaults {
  /** Breaks the connection of an upload after so many bytes of its body. Once. */
  cutUploadAfterBytes?: number | undefined;
  /** Takes the upload, then breaks the connection instead of responding. Once. */
  loseUploadResponse?: boolean | undefined;
  /** Refuses an upload with 400 `decode_payload` and this message, as for a full disk. Once. */
  decodePayload?: string | undefined;
  /** Refuses an upload with 500, as for a fee lookup that fails. Once. */
  failFeeLookup?: boolean | undefined;
  /** Answers an upload with amounts that do not belong to its fee (the sample of the seed). */
  inconsistentAmounts?: boolean | undefined;
  /** Breaks the connection of a start before anything happened. Once. */
  dropStart?: boolean | undefined;
  /** Starts, then breaks the connection instead of responding. Once. */
  loseStartResponse?: boolean | undefined;
  /** Queues all volumes but this one; the response names fewer tasks. */
  unqueuedVolume?: number | undefined;
  /** Registrations of this volume that fail before one succeeds. */
  failRegistration?: { volume: number; times: number } | undefined;
  /** Activations of this volume that fail before one succeeds. */
  failActivation?: { volume: number; times: number } | undefined;
  /** Never writes the ticket that joins the volumes. */
  stuckFinalizing?: boolean | undefined;
  /** Forgets every file at the next request, as after the loss of its database. Once. */
  forgetFiles?: boolean | undefined;
  /** Refuses the next requests for details with 500. Counts down. */
  failDetails?: number | undefined;
  /** Refuses every passphrase. */
  refuse?: boolean | undefined;
  /** Says another hash of the whole file than the one it stored. */
  wrongHash?: boolean | undefined;
  /** Stores SHA3-256 where SHA-256 belongs. */
  sha3Hash?: boolean | undefined;

  /** Says `Completed` before the file can be fetched, for so many requests. Counts down. */
  prematureCompleted?: number | undefined;
  /** Answers 500 instead of a status once the download is over. */
  statusGone?: boolean | undefined;
  /** A volume fails: the task is gone, and its status is 500. Once per download. */
  failDownload?: boolean | undefined;
  /** Says `Failed`. Once per download. */
  sayFailed?: boolean | undefined;
  /** Stays `In Progress` for ever. Once per download. */
  stuckDownload?: boolean | undefined;
  /** Serves bytes that are not the file's, so many times. Counts down. */
  wrongBytes?: number | undefined;
  /** Breaks the connection in the middle of the file. Once. */
  cutFile?: boolean | undefined;
  /** Counts finished volumes twice. */
  doubleCount?: boolean | undefined;
  /** `details` of a status is null while volumes are on their way. */
  nullDetails?: boolean | undefined;
}
