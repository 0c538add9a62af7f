/** Named points where a test injects errors or stops a request. @public */
export interface DebugFacet {
  /** A driver above reached a named point. */
  event(name: string): void
  breakpoint(event: string, tag: string): void
  removeBreakpoint(tag: string): void
  resume(tag: string): void
  isSuspended(tag: string): boolean
}
