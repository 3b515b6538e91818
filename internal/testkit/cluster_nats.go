package testkit

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// NATS runs a NATS server with JetStream, as operators have one, until the test ends, and returns its URL.
func NATS(t testing.TB) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		ServerName: "operator", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, JetStream: true, StoreDir: memoryFolder(t),
		JetStreamMaxMemory: 512 << 20, JetStreamMaxStore: 1 << 30, MaxPayload: 8 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(patience) {
		t.Fatal("the NATS server does not come up")
	}
	return s.ClientURL()
}
