import type { BackingReference, Instance, Preallocation } from '@blockloom/block-driver'
import type { Act, Facts } from './history.ts'

/** Takes a snapshot. */
export function takeSnapshot(name: string, vmState = 0): Act<Instance> {
  return {
    what: `snapshot ${name}`,
    run: (image) => image.snapshots!.create!({ name, ...(vmState === 0 ? {} : { vmState: new Uint8Array(vmState).fill(7) }) }),
    after: (view) => ({ ...view, snapshots: new Map(view.snapshots).set(name, view.bytes.slice()) }),
  }
}

/** Goes back to a snapshot, to its size too. */
export function revertTo(name: string): Act<Instance> {
  return {
    what: `back to ${name}`,
    run: (image) => image.snapshots!.revert!(name),
    after: (view) => ({ ...view, bytes: view.snapshots.get(name)! }),
  }
}

export function removeSnapshot(name: string): Act<Instance> {
  return {
    what: `without ${name}`,
    run: (image) => image.snapshots!.remove!(name),
    after: (view) => ({ ...view, snapshots: new Map([...view.snapshots].filter(([each]) => each !== name)) }),
  }
}

export function resizeTo(size: number, preallocation: Preallocation = 'off'): Act<Instance> {
  return {
    what: `${size} bytes, preallocation ${preallocation}`,
    run: (image) => image.resize!.resize(size, { preallocation, zeroFill: true }),
    isFast: true,
    after: (view) => {
      const bytes = new Uint8Array(size)
      bytes.set(view.bytes.subarray(0, size))
      const open = view.open.filter(({ offset }) => offset < size).map(({ offset, data }) => ({ offset, data: data.subarray(0, size - offset) }))
      return { ...view, bytes, open }
    },
  }
}

/** Names another backing file, which holds the same. */
export function nameBacking(to: BackingReference): Act<Instance> {
  return {
    what: `backing file ${to.filename}`,
    run: (image) => image.backing!.change!(to),
    isFast: true,
    after: (view) => ({ ...view, facts: { ...view.facts, backing: to.filename } }),
  }
}

/** Drops what is in this layer; `below` is what is read then. */
export function makeEmpty(below: Uint8Array): Act<Instance> {
  const emptied = (size: number): Uint8Array => {
    const bytes = new Uint8Array(size)
    bytes.set(below.subarray(0, size))
    return bytes
  }
  return {
    what: 'make empty',
    run: (image) => image.makeEmpty!(),
    isFast: true,
    after: (view) => ({ ...view, bytes: emptied(view.bytes.length), open: [] }),
    between: (view) => [{ ...view, open: [...view.open, { offset: 0, data: emptied(view.bytes.length) }] }],
  }
}

/** Amends options, which the facts of the same names then show; in between any of them may be as before. */
export function amend(options: Readonly<Record<string, unknown>>, shown: Readonly<Record<string, string>>): Act<Instance> {
  return {
    what: `amend ${JSON.stringify(options)}`,
    run: (image) => image.amend!.amend(options, { progress: () => {} }),
    isFast: true,
    after: (view) => ({ ...view, facts: { ...view.facts, ...shown } }),
    between: (view) => {
      const either = Object.entries(shown).map(([name, value]) => [name, [value, view.facts[name] ?? []].flat()] as const)
      return [{ ...view, facts: { ...view.facts, ...Object.fromEntries(either) } }]
    },
  }
}

/** What the bitmaps' facts are called. */
const bitmapFact = (name: string): string => `bitmap ${name}`

/** Stores bitmaps. Later writes make them untrue: then they are found inconsistent. */
export function storeBitmaps(bitmaps: Readonly<Record<string, Uint8Array>>, granularity: number): Act<Instance> {
  return {
    what: `store ${Object.keys(bitmaps).join()}`,
    run: (image) =>
      image.bitmaps!.store!(Object.entries(bitmaps).map(([name, bits]) => ({ name, granularity, auto: false, bits: (offset, bytes) => bits.subarray(offset, offset + bytes) }))),
    isFast: true,
    after: (view) => {
      const stored = Object.entries(bitmaps).map(([name, bits]) => [bitmapFact(name), ['inconsistent', Buffer.from(bits).toString('hex')]])
      const facts: Facts = { ...view.facts, ...(Object.fromEntries(stored) as Facts) }
      return { ...view, facts: { ...facts, bitmaps: namesOf(facts) } }
    },
  }
}

export function removeBitmap(name: string): Act<Instance> {
  return {
    what: `remove ${name}`,
    run: (image) => image.bitmaps!.remove!(name),
    isFast: true,
    after: (view) => {
      const facts = Object.fromEntries(Object.entries(view.facts).filter(([fact]) => fact !== bitmapFact(name)))
      return { ...view, facts: { ...facts, bitmaps: namesOf(facts) } }
    },
  }
}

function namesOf(facts: Facts): string {
  return Object.keys(facts).filter((fact) => fact.startsWith('bitmap ')).sort().join()
}

/** The bitmaps of an image as facts. */
export async function bitmapFacts(image: Instance): Promise<Facts> {
  const facts: Record<string, string> = {}
  for (const { name, granularity, inconsistent } of image.bitmaps!.list()) {
    const bits = new Uint8Array(Math.ceil(Math.ceil((await image.size()) / granularity) / 8))
    if (!inconsistent) await image.bitmaps!.load(name, (offset, chunk) => bits.set(chunk, offset))
    facts[bitmapFact(name)] = inconsistent ? 'inconsistent' : Buffer.from(bits).toString('hex')
  }
  return { ...facts, bitmaps: namesOf(facts) }
}
