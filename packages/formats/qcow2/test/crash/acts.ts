import type { Instance, Preallocation } from '@blockloom/block-driver'
import type { Act } from './history.ts'

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
