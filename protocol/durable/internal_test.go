package durable

// PendingBytes lets a test see that appends have queued up.
func (l *Log) PendingBytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pendingBytes
}
