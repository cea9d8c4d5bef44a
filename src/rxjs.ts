export { appendTo } from './streams/rxjs/append-to.js'
export { type ObserveOptions, observe, type ProjectOptions } from './streams/rxjs/observe.js'
export { type ProjectionOptions, type ProjectionProgress, projection } from './streams/rxjs/projection.js'
