// The questions `echo` and `stream` (bench/echo.h), asked of Go: a goroutine for each connection, which for
// `stream` reads and writes through bufio.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
)

func room(variant string) int {
	var connections, bytes int
	fmt.Sscanf(variant, "%dx%d", &connections, &bytes)
	return min(2*bytes, 65536)
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}

func serve(conn net.Conn, size int) {
	block := make([]byte, size)
	defer conn.Close()
	for {
		n, err := conn.Read(block)
		if err != nil {
			return
		}
		if _, err = conn.Write(block[:n]); err != nil {
			return
		}
	}
}

func serveBuffered(conn net.Conn, size int) {
	block := make([]byte, size)
	reader, writer := bufio.NewReader(conn), bufio.NewWriter(conn)
	defer conn.Close()
	for {
		n, err := reader.Read(block)
		if err != nil {
			return
		}
		if _, err = writer.Write(block[:n]); err != nil {
			return
		}
		if reader.Buffered() == 0 && writer.Flush() != nil {
			return
		}
	}
}

func acceptAll(listener net.Listener, size int, serve func(net.Conn, int)) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go serve(conn, size)
	}
}

func main() {
	serveOne := serve
	if os.Args[1] == "stream" {
		serveOne = serveBuffered
	}
	for _, variant := range os.Args[2:] {
		listener, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		go acceptAll(listener, room(variant), serveOne)
		load := exec.Command(os.Getenv("BENCH_ECHO_LOAD"), fmt.Sprint(listener.Addr().(*net.TCPAddr).Port),
			fmt.Sprint(os.Getpid()), variant)
		load.Stdout, load.Stderr = os.Stdout, os.Stderr
		if err := load.Run(); err != nil {
			panic(err)
		}
		listener.Close()
	}
}
