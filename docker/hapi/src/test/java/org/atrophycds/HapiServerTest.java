package org.atrophycds;

import ca.uhn.fhir.jpa.provider.BaseResourceProviderR4Test;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import org.junit.jupiter.api.Test;

/** Not a test: HAPI's own test server, running until its file is removed or the process that started it is gone. */
class HapiServerTest extends BaseResourceProviderR4Test {

  @Test
  void serve() throws Exception {
    Path url = Path.of(System.getProperty("hapi.url.file"));
    long parent = Long.parseLong(System.getProperty("hapi.parent"));
    Path written = url.resolveSibling(url.getFileName() + ".part");
    Files.writeString(written, myServerBase);
    Files.move(written, url, StandardCopyOption.ATOMIC_MOVE);
    while (Files.exists(url) && ProcessHandle.of(parent).map(ProcessHandle::isAlive).orElse(false)) {
      Thread.sleep(200);
    }
    System.exit(0); // what would follow empties the database, which is in memory
  }
}
