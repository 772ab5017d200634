// Package testenv gives tests the real thing: a Postgres schema and Kafka topics of their own on servers that the
// package's tests share, or whole servers of their own to stop and crash.
//
// The shared servers are those of ONHAND_TEST_DATABASE_URL and ONHAND_TEST_BROKERS. Where a variable is unset, the
// first test that needs the server starts one with scripts/postgres or scripts/kafka, for this test process alone.
// A server that cannot be had fails the test; nothing is skipped.
//
// Every package that uses it hands over its TestMain:
//
//	func TestMain(m *testing.M) { testenv.Main(m) }
package testenv
