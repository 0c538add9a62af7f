import { clearUnknownAutoclear } from './autoclear.ts'
import type { Qcow2Writer } from './writer.ts'

/**
 * Runs `work` when no request of the guest is under way; new ones wait until it ends. When it starts, everything in
 * memory is on disk, and nothing is left to be freed.
 *
 * Order: gate, requests that are under way, then the structure mutex, which `work` takes itself.
 *
 * @param check - throws if there is no point in it: the image is not even prepared for changes then
 * @internal
 */
export async function exclusively<T>(writer: Qcow2Writer, work: () => Promise<T>, check: () => void = () => {}): Promise<T> {
  using _closed = await writer.gate.close()
  await writer.grace.passed()
  check()
  writer.image.corruption.assertWritable()
  const wasReady = writer.ready
  if (!wasReady) {
    await clearUnknownAutoclear(writer.image)
    await writer.overlap.learn()
  }
  await writer.settle()
  // What is written now is not the guest's disk: bitmaps stay true.
  writer.ready = true
  try {
    return await work()
  } finally {
    // Where tables of snapshots are now is read, and bitmaps that are right again are marked, before the disk changes.
    writer.ready = wasReady && !writer.overlap.mustLearn && !writer.image.bitmaps.trusted
  }
}
