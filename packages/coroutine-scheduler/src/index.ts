/**
 * Fair locks, queues, timers and a virtual clock for asynchronous code.
 *
 * @example
 * ```ts
 * import { CoMutex, createVirtualContext } from '@blockloom/coroutine-scheduler'
 *
 * const context = createVirtualContext({ seed: 7 })
 * const mutex = new CoMutex({ name: 'table', context })
 *
 * const seconds = await context.run(async () => {
 *   const worker = async (): Promise<void> => {
 *     using guard = await mutex.acquire()
 *     await context.sleep(60_000) // a minute of virtual time, microseconds of yours
 *   }
 *   await Promise.all([context.spawn('a', worker), context.spawn('b', worker)])
 *   return context.now() / 1000
 * })
 * console.log(seconds) // 120: one after the other
 * ```
 *
 * @packageDocumentation
 */
export { SchedulerMisuse, isSchedulerMisuse } from './scheduler-misuse.ts'
export type { SchedulerMisuseCode } from './scheduler-misuse.ts'
export { createRandom } from './seeded-random.ts'
export type { SeededRandom } from './seeded-random.ts'

export { CoMutex } from './locks/co-mutex.ts'
export type { MutexGuard } from './locks/co-mutex.ts'
export { CoQueue } from './locks/co-queue.ts'
export { CoRwLock } from './locks/co-rw-lock.ts'
export type { RwGuard, RwMode } from './locks/co-rw-lock.ts'
export { CoSemaphore } from './locks/co-semaphore.ts'
export type { SemaphoreGuard } from './locks/co-semaphore.ts'
export { ByteRangeLock } from './locks/byte-range-lock.ts'
export type { RangeGuard, RangeMode } from './locks/byte-range-lock.ts'
export type { LockGuard } from './locks/lock-guard.ts'
export type { LockOptions, Wait, WakeHook, WakeSource } from './locks/wake-hook.ts'

export type { AioContext, Movable, SleepHow } from './context/aio-context.ts'
export type { BottomHalf } from './context/bottom-half.ts'
export type { Timer } from './context/timer.ts'
export { Job } from './context/event-loop.ts'
export type { EventLoop } from './context/event-loop.ts'
export { AioContextOwner } from './context/aio-context-owner.ts'
export { createRealContext } from './context/real-context.ts'
export type { RealContextOptions } from './context/real-context.ts'
export { createVirtualContext } from './context/virtual-context.ts'
export type { TraceStep, VirtualContext, VirtualContextOptions } from './context/virtual-context.ts'
