import type { ChildHandle, ChildRequest, Clock, ChildSlot, Instance, OpenContext, OpenMode } from '@blockloom/block-driver'
import { BlockError, parseOptions } from '@blockloom/block-driver'
import { qcow2, qcow2Options, type Qcow2Options } from '../../src/index.ts'

export interface OpenInit {
  readonly file: ChildHandle
  readonly backing?: ChildHandle | null
  readonly dataFile?: ChildHandle
  readonly mode?: Partial<OpenMode>
  readonly options?: Readonly<Record<string, unknown>>
  readonly secrets?: Readonly<Record<string, string>>
  readonly warnings?: string[]
  /** Default: one that stands still. */
  readonly clock?: Clock
  readonly requests?: { readonly name: string; readonly request: ChildRequest }[]
}

/** Nobody sleeps but in the background. */
const STANDING_STILL: Clock = {
  now: () => 0,
  sleep: (_ms, signal, how) =>
    new Promise((_resolve, reject) => {
      if (how?.background !== true) reject(new Error('nobody sleeps here'))
      signal?.addEventListener('abort', () => reject(signal.reason as Error))
    }),
}

/** An open context made of given children. */
export function contextOf(init: OpenInit): OpenContext<Qcow2Options> {
  const children: Readonly<Record<string, ChildHandle | null | undefined>> = { file: init.file, backing: init.backing, 'data-file': init.dataFile }
  return {
    options: parseOptions(qcow2Options, init.options ?? {}) as Qcow2Options,
    mode: { readOnly: false, noIo: false, noBacking: false, forCheck: false, ...init.mode },
    nodeName: 'test',
    clock: init.clock ?? STANDING_STILL,
    signal: undefined,
    async child(name, request) {
      init.requests?.push({ name, request })
      const child = children[name]
      if (child === undefined || child === null) throw new Error(`no child ${name}`)
      return child
    },
    async optionalChild(name, request): Promise<ChildSlot> {
      init.requests?.push({ name, request })
      return { current: children[name] ?? null }
    },
    secret: async (id) => secretOf(init.secrets, id),
    warn: (message) => init.warnings?.push(message),
  }
}

/** A secret by its id, as a graph would look it up. */
export function secretOf(secrets: Readonly<Record<string, string>> | undefined, id: string): Uint8Array {
  const secret = secrets?.[id]
  if (secret === undefined) throw new BlockError('not-found', `No secret with id '${id}'`)
  return new TextEncoder().encode(secret)
}

/** Opens an image as the graph would, without the graph. */
export async function openQcow2(init: OpenInit): Promise<Instance> {
  return (await qcow2.open(contextOf(init) as OpenContext<never>)) as Instance
}

/** Reads the whole disk in requests of `step` bytes. */
export async function readAll(image: Instance, step = 1 << 20): Promise<Uint8Array> {
  const size = await image.size()
  const all = new Uint8Array(size)
  for (let at = 0; at < size; at += step) await image.read(at, all.subarray(at, Math.min(size, at + step)), 0)
  return all
}
