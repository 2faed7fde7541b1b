export { editFile } from './edit-file.js';
export type { EditFileOptions, EditSummary, FileSplice } from './types.js';
