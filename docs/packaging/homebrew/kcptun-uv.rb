# Homebrew on Linux: the static program. scripts/recipes.sh writes this file with version, address and checksums.
class KcptunUv < Formula
  desc "Tunnel for TCP and UDP over KCP, compatible with kcptun"
  homepage "@URL@"
  version "@VERSION@"
  license "MIT"

  depends_on :linux

  on_intel do
    url "@URL@/kcptun-uv-@VERSION@-@ARCH_X86_64@-static.tar.gz"
    sha256 "@SHA256_X86_64@"
  end
  on_arm do
    url "@URL@/kcptun-uv-@VERSION@-@ARCH_ARM64@-static.tar.gz"
    sha256 "@SHA256_ARM64@"
  end

  def install
    bin.install "bin/kcptun-client"
    bin.install_symlink "kcptun-client" => "kcptun-server"
  end

  service do
    run [opt_bin/"kcptun-client", "-c", etc/"kcptun-uv/client.json"]
    keep_alive true
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/kcptun-client --version")
    assert_match version.to_s, shell_output("#{bin}/kcptun-server --version")
  end
end
