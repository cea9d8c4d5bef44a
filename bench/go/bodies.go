package main

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

const fillBatch = 1000
const rangeEntries = 1000

// The bodies have the names and do the work of those in bench/bodies.
var bodies = map[string]func(Peer, Spec) (Result, error){
	"openLoop":   written(appendInOneLoop),
	"concurrent": written(concurrent),
	"batches":    written(batches),
	"fill":       written(fill),
	"replay":     existing(replay),
	"get":        existing(get),
	"crash":      crash,
	"reopen":     reopen,
}

type body func(log Log, spec Spec, payloads Payloads) (Result, error)

// existing opens the log for a body and closes it again.
func existing(run body) func(Peer, Spec) (Result, error) {
	return func(peer Peer, spec Spec) (Result, error) {
		log, err := peer.open(spec)
		if err != nil {
			return nil, err
		}
		result, err := run(log, spec, makePayloads(spec.PayloadBytes))
		if err != nil {
			return nil, err
		}
		return result, log.Close()
	}
}

// written also reads back everything the body acknowledged. It does so before closing, because a raft-wal cannot be
// opened a second time by the process that closed it: its metadata file stays locked.
func written(run body) func(Peer, Spec) (Result, error) {
	return existing(func(log Log, spec Spec, payloads Payloads) (Result, error) {
		result, err := run(log, spec, payloads)
		if err != nil {
			return nil, err
		}
		result["rss"] = peakMegabytes()
		result["checked"] = result["count"]
		return result, readBack(log, payloads, result["count"].(int))
	})
}

func readBack(log Log, payloads Payloads, count int) error {
	if last, err := log.Count(); err != nil || last < count {
		return fmt.Errorf("%d entries read back, %d were acknowledged (%v)", last, count, err)
	}
	for position := range count {
		data, err := log.Get(position)
		if err != nil {
			return err
		}
		if err := payloads.check(position, data); err != nil {
			return err
		}
	}
	return nil
}

// appendInOneLoop is what these logs offer in place of un-awaited appends: one goroutine that appends.
func appendInOneLoop(log Log, spec Spec, payloads Payloads) (Result, error) {
	clock := start(spec)
	position := 0
	for ; position&255 != 0 || !clock.over(position); position++ {
		if err := log.Append(position, payloads.at(position)); err != nil {
			return nil, err
		}
	}
	return clock.rate(position, spec.PayloadBytes), nil
}

// concurrent has `writers` goroutines append; the mutex gives each its index, which these logs want from the caller.
func concurrent(log Log, spec Spec, payloads Payloads) (Result, error) {
	var mutex sync.Mutex
	var group sync.WaitGroup
	var failure error
	samples := []float64{}
	position := 0
	clock := start(spec)
	next := func() bool {
		started := time.Now()
		mutex.Lock()
		defer mutex.Unlock()
		if failure != nil || clock.over(position) {
			return false
		}
		failure = log.Append(position, payloads.at(position))
		position++
		samples = append(samples, float64(time.Since(started).Nanoseconds())/1000)
		return true
	}
	for range spec.Params.Writers {
		group.Go(func() {
			for next() {
			}
		})
	}
	group.Wait()
	result := clock.rate(position, spec.PayloadBytes)
	slices.Sort(samples)
	result["p50"], result["p99"] = samples[len(samples)/2], samples[len(samples)*99/100]
	return result, failure
}

func batches(log Log, spec Spec, payloads Payloads) (Result, error) {
	position := 0
	clock := start(spec)
	for !clock.over(position) {
		if err := appendBatch(log, payloads, position, spec.Params.Batch); err != nil {
			return nil, err
		}
		position += spec.Params.Batch
	}
	return clock.rate(position, spec.PayloadBytes), nil
}

func appendBatch(log Log, payloads Payloads, position int, size int) error {
	batch := make([][]byte, size)
	for at := range batch {
		batch[at] = payloads.at(position + at)
	}
	return log.Batch(position, batch)
}

func fill(log Log, spec Spec, payloads Payloads) (Result, error) {
	for position := 0; position < spec.Params.Entries; position += fillBatch {
		if err := appendBatch(log, payloads, position, fillBatch); err != nil {
			return nil, err
		}
	}
	return Result{"count": spec.Params.Entries}, nil
}

func replay(log Log, spec Spec, payloads Payloads) (Result, error) {
	touched, entries := 0, 0
	visit := func(data []byte) { touched += int(data[8]) }
	clock := start(spec)
	for !clock.over(entries) {
		if ranger, can := log.(Ranger); can {
			for from := 0; from < spec.Params.Entries; from += rangeEntries {
				if err := ranger.Range(from, min(from+rangeEntries, spec.Params.Entries), visit); err != nil {
					return nil, err
				}
			}
			entries += spec.Params.Entries
			continue
		}
		for position := range spec.Params.Entries {
			data, err := log.Get(position)
			if err != nil {
				return nil, err
			}
			visit(data)
		}
		entries += spec.Params.Entries
	}
	result := clock.rate(entries, spec.PayloadBytes)
	result["touched"] = touched
	return result, nil
}

func get(log Log, spec Spec, payloads Payloads) (Result, error) {
	done, state := 0, uint32(0x9e3779b9)
	clock := start(spec)
	for done&63 != 0 || !clock.over(done) {
		state = xorshift(state)
		position := int(state % uint32(spec.Params.Entries))
		data, err := log.Get(position)
		if err != nil {
			return nil, err
		}
		number := int(data[0]) | int(data[1])<<8 | int(data[2])<<16 | int(data[3])<<24
		if number != position&payloads.mask {
			return nil, fmt.Errorf("entry %d read back wrong", position)
		}
		done++
	}
	return clock.rate(done, spec.PayloadBytes), nil
}

// crash fills the log and is killed in the middle of appending.
func crash(peer Peer, spec Spec) (Result, error) {
	log, err := peer.open(spec)
	if err != nil {
		return nil, err
	}
	payloads := makePayloads(spec.PayloadBytes)
	result, err := fill(log, spec, payloads)
	if err != nil {
		return nil, err
	}
	describe(result, peer, spec)
	print(result)
	return nil, syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

func reopen(peer Peer, spec Spec) (Result, error) {
	started := time.Now()
	log, err := peer.open(spec)
	if err != nil {
		return nil, err
	}
	count, err := log.Count()
	openMs := float64(time.Since(started).Nanoseconds()) / 1e6
	if err != nil || count < spec.Params.Entries {
		return nil, fmt.Errorf("%d entries after reopening, %d were acknowledged (%v)", count, spec.Params.Entries, err)
	}
	return Result{"openMs": openMs, "count": count}, log.Close()
}

func peakMegabytes() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return float64(usage.Maxrss) / 1024
}
