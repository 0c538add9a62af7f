import type { OpenContext, OptionsOf } from '@blockloom/block-driver'
import { defineDriver } from '@blockloom/block-driver'
import { createFile } from './create.ts'
import { checkFilename, parseFilename } from './filename.ts'
import { HostFile } from './host-file.ts'
import { fileImage } from './image.ts'
import { lockFor } from './lock/locking.ts'
import { hostHasLibc, loadLibc } from './native/libc.ts'
import { openDescriptor, requireDirect } from './open.ts'
import { fileCreateOptions, fileOptions } from './options.ts'

/** @public */
export interface FileDriverInit {
  /** Make system calls that Node does not have, if `koffi` is installed. Default true. */
  readonly native?: boolean
}

/** Makes a `file` driver that differs from {@link file} in how it works on its host. @public */
export function fileDriver(init: FileDriverInit = {}) {
  const native = init.native ?? true
  let warned = false

  const libcFor = async (context: Pick<OpenContext, 'warn'>) => {
    if (!native) return null
    const libc = await loadLibc()
    if (libc === null && hostHasLibc() && !warned) {
      warned = true
      context.warn('The package koffi is not installed: files are used without image locks, holes are not seen, and O_DIRECT is not available')
    }
    return libc
  }

  const open = async (context: OpenContext<OptionsOf<typeof fileOptions>>) => {
    const { options, mode, clock, signal } = context
    checkFilename(options.filename)
    signal?.throwIfAborted()
    const libc = await libcFor(context)
    const direct = options.cache?.direct ?? false
    if (direct) requireDirect(libc, options.filename)
    const descriptor = await openDescriptor(options.filename, { readOnly: mode.readOnly, direct })
    const file = new HostFile(options.filename, descriptor, libc, clock)
    try {
      file.noFlush = options.cache?.['no-flush'] ?? false
      return fileImage(file, lockFor(options.locking, libc, file.fd, options.filename))
    } catch (error) {
      await file.close()
      throw error
    }
  }

  return defineDriver({
    name: 'file',
    kind: 'protocol',
    summary: 'regular files on the host',
    options: fileOptions,
    prefixes: ['file:'],
    parseFilename,
    open,
    creation: {
      options: fileCreateOptions,
      create: async (context) => createFile(context, await libcFor(context)),
    },
  })
}

/** The protocol `file`: regular files on the host, with holes, image locks and O_DIRECT where the host has them. @public */
export const file = fileDriver()
