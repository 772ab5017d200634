//go:build unix && !linux

package child

import "syscall"

// Other kernels have no parent's death signal: there a child outlives a parent that is killed outright.
func signalWhenOrphaned(*syscall.SysProcAttr, syscall.Signal) {}
