export { FileReader, type FileReaderOptions } from './file-reader.js';
