import { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import { fileSystemConformance } from './conformance.js'

fileSystemConformance('SimulatedFileSystem', { direct: true }, async () => {
  const fs = new SimulatedFileSystem()
  await fs.createDirectory('/scene')
  return {
    fs,
    directory: '/scene',
    placeOther: async path => fs.placeOther(path),
    tearDown: async () => {},
  }
})
