// Sends one usage event for each workspace named:
// TOLLWAY_BROKERS=host:port java -cp 'JARS/*' Send.java acme ...
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.StringSerializer;

public class Send {
  public static void main(String[] workspaces) throws Exception {
    Map<String, Object> settings =
        Map.of("bootstrap.servers", System.getenv("TOLLWAY_BROKERS"), "linger.ms", 5);
    List<Future<RecordMetadata>> sent = new ArrayList<>();
    // The default partitioner takes murmur2 of the key, which is what everybody else must do.
    try (var producer =
        new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
      for (String workspace : workspaces) {
        sent.add(producer.send(new ProducerRecord<>("tollway.usage", workspace, event(workspace))));
      }
    }
    for (Future<RecordMetadata> one : sent) {
      one.get();
    }
  }

  /** With any JSON library it is shorter; input_tokens holds the 1000 that came from the cache. */
  private static String event(String workspace) {
    return """
        {"source": "example-java", "id": "%s", "time": "%s", "workspace": %s,\
         "agent": "nightly-report", "provider": "openai", "model": "gpt-4o",\
         "input_tokens": 1200, "cache_read_tokens": 1000, "output_tokens": 350}"""
        .formatted(UUID.randomUUID(), Instant.now(), quoted(workspace));
  }

  private static String quoted(String text) {
    return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
  }
}
