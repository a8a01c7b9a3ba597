//! What every keeper of blobs must do.

use orchestrator_core::{
    id::BlobId,
    port::{BlobError, Blobs},
};
use std::sync::Arc;
use tokio::task::JoinSet;

/// Puts keepers of blobs through every case, each on an empty one of its own from `make`.
///
/// # Panics
/// When one breaks a rule of the port.
pub async fn run_all<F, Made>(make: F)
where
    F: Fn() -> Made,
    Made: Future<Output = Arc<dyn Blobs>>,
{
    bytes_come_back_as_they_were(make().await).await;
    the_id_is_the_hash_of_the_content(make().await).await;
    what_is_not_there_is_missing(make().await).await;
    many_may_put_the_same_at_once(make().await).await;
}

async fn bytes_come_back_as_they_were(blobs: Arc<dyn Blobs>) {
    let long: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    for bytes in [&b""[..], b"\0", b"text\r\n", &[0xff; 300], &long] {
        let id = blobs.put(bytes).await.expect("put");
        let again = blobs.put(bytes).await.expect("put again");
        assert_eq!(id, again, "the same content, the same id");
        let found = blobs.get(&id).await.expect("get");
        assert!(found == bytes, "{} bytes", bytes.len());
    }
}

async fn the_id_is_the_hash_of_the_content(blobs: Arc<dyn Blobs>) {
    // FIPS 180-2, appendix B.1.
    let id = blobs.put(b"abc").await.expect("put");
    let expected = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(id.as_str(), expected);
    assert_ne!(blobs.put(b"abd").await.expect("put"), id);
}

async fn what_is_not_there_is_missing(blobs: Arc<dyn Blobs>) {
    let zeros = format!("sha256:{}", "0".repeat(64));
    for text in [zeros.as_str(), "sha256:..", "md5:abc", "sha256:", "x"] {
        let id = BlobId::new(text).expect("an id");
        assert_eq!(blobs.get(&id).await, Err(BlobError::Missing(id.clone())));
    }
}

async fn many_may_put_the_same_at_once(blobs: Arc<dyn Blobs>) {
    let bytes: Arc<[u8]> = (0..100_000_u32).map(|n| n as u8).collect();
    let mut puts = JoinSet::new();
    for _ in 0..16 {
        let (blobs, bytes) = (blobs.clone(), bytes.clone());
        puts.spawn(async move { blobs.put(&bytes).await.expect("put") });
    }
    let ids = puts.join_all().await;
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]));
    assert!(blobs.get(&ids[0]).await.expect("get") == *bytes);
}
