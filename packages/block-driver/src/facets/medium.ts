/** Removable media. @public */
export interface MediumFacet {
  inserted(): boolean | Promise<boolean>
  eject(open: boolean): Promise<void>
  lock(locked: boolean): Promise<void>
}
