/** The log broke a promise. Everything else that is thrown while exploring is a fault of the explorer. */
export class Violation extends Error {}
