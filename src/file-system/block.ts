/** Direct writes come in whole blocks; larger than any sector, and the size of a page. */
export const BLOCK_BYTES = 4096

/** The end of the block that `offset` lies in, or `offset` where a block begins. */
export function toBlockEnd(offset: number): number {
  return Math.ceil(offset / BLOCK_BYTES) * BLOCK_BYTES
}
