/** Lets `count` turns of the microtask queue pass: how the kit varies the order in which requests settle. @internal */
export async function hops(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await undefined
}
