import { readFileSync, writeFileSync } from 'node:fs'

/** Counts free clusters of an image as used, as a writer does that was killed; returns how many. Refcounts of 8 bits or more. */
export function spoil(file: string): number {
  const bytes = readFileSync(file)
  const width = 2 ** (bytes.readUInt32BE(4) === 2 ? 4 : bytes.readUInt32BE(96)) / 8
  const clusterSize = 2 ** bytes.readUInt32BE(20)
  const block = Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(48))))
  const inFile = Math.floor(bytes.length / clusterSize)
  let leaks = 0
  for (let cluster = 0; cluster < Math.min(inFile, clusterSize / width) && leaks < 5; cluster++) {
    const at = block + cluster * width
    if (bytes.subarray(at, at + width).some((byte) => byte !== 0)) continue
    bytes[at + width - 1] = 1
    leaks++
  }
  writeFileSync(file, bytes)
  return leaks
}
