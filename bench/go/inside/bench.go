// Package walrus: this file is put beside those of the Go Walrus, whose configuration has no exported field or setter.
package walrus

// BenchConfig is the default configuration with two of its switches set.
func BenchConfig(noSync, zeroCopy bool) Config {
	config := DefaultConfig()
	config.syncAfterWrite = !noSync
	config.zeroCopy = zeroCopy
	return config
}
