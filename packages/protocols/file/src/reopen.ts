import type { OptionsOf, Transaction } from '@blockloom/block-driver'
import { BlockError } from '@blockloom/block-driver'
import type { HostFile } from './host-file.ts'
import { closeDescriptor } from './host-file.ts'
import { NOTHING } from './lock/image-lock.ts'
import { lockFor } from './lock/locking.ts'
import type { LockedPermissions } from './lock/permissions.ts'
import type { Descriptor } from './open.ts'
import { openDescriptor, requireDirect } from './open.ts'
import type { fileOptions } from './options.ts'

/**
 * Prepares other options for an open file: locks are taken, and another descriptor is opened if it needs other
 * flags. Nothing is in flight.
 *
 * @internal
 */
export async function reopenFile(file: HostFile, permissions: LockedPermissions, next: OptionsOf<typeof fileOptions>): Promise<Transaction> {
  if (next.filename !== file.path) throw new BlockError('invalid', "Cannot change the option 'filename'", { detail: { option: 'filename' } })
  const direct = next.cache?.direct ?? false
  if (direct) requireDirect(file.libc, file.path)
  const descriptor = direct === file.direct ? null : await openAgain(file, direct)
  try {
    const planned = descriptor && file.plan(descriptor)
    const before = permissions.lock
    const kept = descriptor === null && next.locking !== 'off' ? before : null
    const lock = kept ?? lockFor(next.locking, file.libc, descriptor?.fd ?? file.fd, file.path)
    if (lock !== kept) lock?.add(permissions.granted)
    return {
      commit: async () => {
        file.noFlush = next.cache?.['no-flush'] ?? false
        permissions.lock = lock
        if (planned !== null) await closeDescriptor(file.replace(planned)).catch(() => undefined)
        else if (lock === null) before?.reduce(NOTHING)
      },
      abort: async () => {
        if (descriptor !== null) await closeDescriptor(descriptor).catch(() => undefined)
        else if (lock !== before) lock?.reduce(NOTHING)
      },
    }
  } catch (error) {
    if (descriptor !== null) await closeDescriptor(descriptor)
    throw error
  }
}

/** Another descriptor of the same file, even if its name is another's now. */
async function openAgain(file: HostFile, direct: boolean): Promise<Descriptor> {
  const path = process.platform === 'linux' ? `/proc/self/fd/${file.fd}` : file.path
  const descriptor = await openDescriptor(path, { readOnly: file.readOnly, direct, shown: file.path })
  if (descriptor.identity === file.identity) return descriptor
  await closeDescriptor(descriptor)
  throw new BlockError('not-found', `Could not reopen '${file.path}': it is another file now`, { detail: { filename: file.path } })
}
