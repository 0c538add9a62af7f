import { BlockError, ChildRole, parseOptions, Permission, type AnyDriver, type ChildHandle, type OptionsSchema } from '@blockloom/block-driver'
import { Link } from '../node/link.ts'
import { refreshPermissions } from '../node/refresh-permissions.ts'
import { protocolSpec } from './filename.ts'
import type { NodeOpener } from './open-node.ts'
import { findDriver, parseJsonName, type RawSpec } from './raw-spec.ts'

/** A new image. @public */
export interface CreateRequest {
  /** The format's (or protocol's) driver. */
  readonly format: string
  readonly filename: string
  /** Creation options, by the names of `qemu-img create -o`; `size` among them. */
  readonly options: Readonly<Record<string, unknown>>
  readonly signal?: AbortSignal
}

/** @internal */
export async function createImage(request: CreateRequest, opener: NodeOpener): Promise<void> {
  const { environment } = opener
  const { creation, kind } = findDriver(environment.drivers, request.format)
  if (creation === undefined) {
    throw new BlockError('unsupported', `Format driver '${request.format}' does not support image creation`, { detail: { format: request.format } })
  }
  const spec = request.filename.startsWith('json:') ? parseJsonName(request.filename) : protocolSpec(request.filename, environment.drivers)
  const open: Link[] = []
  const release = async (): Promise<void> => {
    for (const link of open.reverse()) {
      link.target.parentLinks.delete(link)
      await opener.discard(link.target)
    }
  }
  const context = { clock: environment.clock, signal: request.signal, secret: environment.secret, warn: (message: string) => environment.warn(request.filename, message) }
  try {
    if (kind === 'protocol') {
      const options = parseOptions(creation.options, { ...protocolOptions(spec), ...request.options })
      await creation.create({ ...context, options: options as never, file: null, createFile: noFiles })
      return
    }
    // Options first: a bad one must not leave an empty file behind.
    const { own, rest } = splitOptions(request.options, creation.options, findDriver(environment.drivers, spec['driver']))
    const options = parseOptions(creation.options, own)
    await createProtocolFile({ ...spec, ...rest }, 0, request, opener)
    open.push(await attach(await opener.open(spec), 'file', opener))
    const createFile = async (name: string, filename: string, size: number): Promise<ChildHandle> => {
      const other = protocolSpec(filename, environment.drivers)
      // Each file is told what its protocol knows.
      const { rest: ofOther } = splitOptions(rest, creation.options, findDriver(environment.drivers, other['driver']))
      await createProtocolFile({ ...other, ...ofOther }, size, request, opener)
      const link = await attach(await opener.open(other), name, opener)
      open.push(link)
      return link
    }
    await creation.create({ ...context, options: options as never, file: open[0]!, createFile })
  } catch (error) {
    await release().catch(() => {})
    throw error
  }
  await release()
}

/** What only the protocol's files have (`nocow`) goes to the file; everything else is the format's, also what nobody has. */
function splitOptions(given: RawSpec, format: OptionsSchema, protocol: AnyDriver): { readonly own: RawSpec; readonly rest: RawSpec } {
  const own: Record<string, unknown> = {}
  const rest: Record<string, unknown> = {}
  const ofProtocol = protocol.creation?.options ?? {}
  for (const [name, value] of Object.entries(given)) {
    const isRest = Object.hasOwn(ofProtocol, name) && !Object.hasOwn(protocol.options, name) && !Object.hasOwn(format, name)
    ;(isRest ? rest : own)[name] = value
  }
  return { own, rest }
}

const noFiles = (): Promise<never> => Promise.reject(new BlockError('unsupported', 'A protocol creates one file'))

async function createProtocolFile(spec: RawSpec, size: number, request: CreateRequest, opener: NodeOpener): Promise<void> {
  const { environment } = opener
  const { creation, name } = findDriver(environment.drivers, spec['driver'])
  if (creation === undefined) throw new BlockError('unsupported', `Protocol driver '${name}' does not support image creation, and opening the image failed`, { detail: { driver: name } })
  const options = parseOptions(creation.options, { ...protocolOptions(spec), size })
  await creation.create({
    clock: environment.clock,
    signal: request.signal,
    secret: environment.secret,
    warn: (message) => environment.warn(request.filename, message),
    options: options as never,
    file: null,
    createFile: noFiles,
  })
}

function protocolOptions(spec: RawSpec): RawSpec {
  const { driver: _driver, ...options } = spec
  return options
}

async function attach(node: Link['target'], name: string, opener: NodeOpener): Promise<Link> {
  const grant = { used: Permission.CONSISTENT_READ | Permission.WRITE | Permission.RESIZE, shared: Permission.CONSISTENT_READ | Permission.WRITE_UNCHANGED }
  const link = new Link(name, null, ChildRole.DATA | ChildRole.METADATA, node, grant)
  node.parentLinks.add(link)
  try {
    await refreshPermissions([node])
  } catch (error) {
    node.parentLinks.delete(link)
    await opener.discard(node)
    throw error
  }
  return link
}
