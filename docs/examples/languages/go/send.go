// Sends one usage event for each workspace named: TOLLWAY_BROKERS=host:port go run . acme ...
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// UsageEvent has the fields that this program knows; all of them are in docs/schemas.
type UsageEvent struct {
	// What happened, once: with a provider's response, its name and the response's id.
	Source    string    `json:"source"`
	ID        string    `json:"id"`
	Time      time.Time `json:"time"`
	Workspace string    `json:"workspace"`
	Agent     string    `json:"agent"`
	Provider  string    `json:"provider"`
	Model     string    `json:"model"`
	// Holds what came from the cache.
	InputTokens     int64 `json:"input_tokens"`
	CacheReadTokens int64 `json:"cache_read_tokens"`
	OutputTokens    int64 `json:"output_tokens"`
}

func main() {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(os.Getenv("TOLLWAY_BROKERS"), ",")...),
		kgo.DefaultProduceTopic("tollway.usage"),
		// Java's murmur2 of the key; it is the default, and everything depends on it.
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	var records []*kgo.Record
	for _, workspace := range os.Args[1:] {
		value, err := json.Marshal(UsageEvent{
			Source: "example-go", ID: rand.Text(), Time: time.Now().UTC(),
			Workspace: workspace, Agent: "nightly-report",
			Provider: "openai", Model: "gpt-4o",
			InputTokens: 1200, CacheReadTokens: 1000, OutputTokens: 350,
		})
		if err != nil {
			log.Fatal(err)
		}
		records = append(records, &kgo.Record{Key: []byte(workspace), Value: value})
	}
	if err := client.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
		log.Fatal(err)
	}
}
