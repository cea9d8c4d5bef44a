export { SimulatedFileSystem, type SimulatedFileSystemOptions } from './file-system/simulated.js'
export type { ArmedFault, SimulatedFault } from './file-system/simulation/faults.js'
export type { SimulatedOperation, SimulatedOperationKind } from './file-system/simulation/operation.js'
export type { File, FileSystem, OpenMode } from './file-system/types.js'
