export type { File, FileSystem, OpenMode } from './file-system/types.js'
