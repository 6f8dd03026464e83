import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.nio.charset.StandardCharsets;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility;
import org.apache.avro.SchemaNormalization;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.io.JsonEncoder;

/**
 * What Apache Avro for Java says: one question per line of standard input, one answer per line of standard
 * output, both JSON. Questions and answers are described in oracle.py.
 */
public final class Oracle {
    private static final ObjectMapper JSON = new ObjectMapper();

    private Oracle() {}

    public static void main(String[] args) throws IOException {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        BufferedWriter out = new BufferedWriter(new OutputStreamWriter(System.out, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            out.write(JSON.writeValueAsString(answer(JSON.readTree(line))));
            out.newLine();
        }
        out.flush();
    }

    private static ObjectNode answer(JsonNode question) {
        ObjectNode answer = JSON.createObjectNode().put("ok", true);
        try {
            switch (question.get("op").asText()) {
                case "schema" -> describe(parse(question, "schema"), answer);
                case "compat" -> compare(parse(question, "reader"), parse(question, "writer"), answer);
                case "resolve" -> resolve(parse(question, "reader"), parse(question, "writer"),
                        question.get("data"), answer);
                default -> throw new IllegalArgumentException("no such op");
            }
        } catch (Exception | StackOverflowError error) {
            return JSON.createObjectNode().put("ok", false).put("error", String.valueOf(error));
        }
        return answer;
    }

    private static Schema parse(JsonNode question, String member) {
        return new Schema.Parser().parse(question.get(member).asText());
    }

    private static void describe(Schema schema, ObjectNode answer) throws NoSuchAlgorithmException {
        answer.put("text", schema.toString());
        answer.put("canonical", SchemaNormalization.toParsingForm(schema));
        answer.put("crc64", String.format("%016x", SchemaNormalization.parsingFingerprint64(schema)));
        answer.put("md5", HexFormat.of().formatHex(SchemaNormalization.parsingFingerprint("MD5", schema)));
        answer.put("sha256", HexFormat.of().formatHex(SchemaNormalization.parsingFingerprint("SHA-256", schema)));
    }

    private static void compare(Schema reader, Schema writer, ObjectNode answer) {
        SchemaCompatibility.SchemaPairCompatibility pair =
                SchemaCompatibility.checkReaderWriterCompatibility(reader, writer);
        answer.put("compatible", pair.getType() == SchemaCompatibility.SchemaCompatibilityType.COMPATIBLE);
        ArrayNode found = answer.putArray("found");
        for (SchemaCompatibility.Incompatibility one : pair.getResult().getIncompatibilities()) {
            found.addObject().put("type", one.getType().name()).put("path", one.getLocation());
        }
    }

    private static void resolve(Schema reader, Schema writer, JsonNode data, ObjectNode answer) {
        GenericDatumReader<Object> datumReader = new GenericDatumReader<>(writer, reader);
        ArrayNode values = answer.putArray("values");
        for (JsonNode datum : data) {
            try {
                JsonNode value = decode(datumReader, reader, HexFormat.of().parseHex(datum.asText()));
                values.addObject().set("json", value);
            } catch (Exception error) {
                values.addObject().put("error", String.valueOf(error));
            }
        }
    }

    private static JsonNode decode(GenericDatumReader<Object> datumReader, Schema schema, byte[] bytes)
            throws IOException {
        BinaryDecoder decoder = DecoderFactory.get().binaryDecoder(bytes, null);
        Object value = datumReader.read(null, decoder);
        if (!decoder.isEnd()) {
            throw new IOException("bytes are left over");
        }
        ByteArrayOutputStream text = new ByteArrayOutputStream();
        JsonEncoder encoder = EncoderFactory.get().jsonEncoder(schema, text);
        new GenericDatumWriter<Object>(schema).write(value, encoder);
        encoder.flush();
        return JSON.readTree(text.toByteArray());
    }
}
