//! A stream that owns what its items borrow from.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt};

/// A stream of what `produce` sends. A method's stream may borrow from its service; the future that
/// sends its items owns the service, so that this stream can outlive the call. The two share one
/// place for an item instead of a channel, as they are polled by the same task.
pub fn items<T, F>(
    produce: impl FnOnce(ItemSender<T>) -> F,
) -> impl Stream<Item = T> + Send + 'static
where
    T: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let place = Place::default();
    let producer = produce(ItemSender { place: Arc::clone(&place) });
    Items { place, producer: Some(Box::pin(producer)) }
}

/// Where an item waits to be taken.
type Place<T> = Arc<Mutex<Option<T>>>;

/// Sends items, one at a time.
#[derive(Debug)]
pub struct ItemSender<T> {
    place: Arc<Mutex<Option<T>>>,
}

impl<T> ItemSender<T> {
    /// Sends every item of a stream, as `map` makes it.
    pub async fn send_all<I>(self, items: impl Stream<Item = I>, map: impl Fn(I) -> T) {
        let mut items = pin!(items);
        while let Some(item) = items.next().await {
            *self.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(map(item));
            futures_util::pending!();
        }
    }
}

struct Items<T, F> {
    place: Place<T>,
    /// `None` when it is done.
    producer: Option<Pin<Box<F>>>,
}

impl<T, F: Future<Output = ()>> Stream for Items<T, F> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(producer) = &mut self.producer else { return Poll::Ready(None) };
        if producer.as_mut().poll(cx).is_ready() {
            self.producer = None;
            return Poll::Ready(None);
        }
        match self.place.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(item) => Poll::Ready(Some(item)),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::stream;

    use super::*;

    #[tokio::test]
    async fn it_gives_every_item_and_waits_for_late_ones() {
        let owner = Arc::new([1, 2, 3]);
        let mut numbers = items(|sender| async move {
            let late = stream::iter(owner.iter()).then(async |number| {
                tokio::time::sleep(Duration::from_millis(1)).await;
                *number
            });
            sender.send_all(late, |number| number).await;
        });
        let mut seen = Vec::new();
        while let Some(number) = numbers.next().await {
            seen.push(number);
        }
        assert_eq!(seen, [1, 2, 3]);
        assert_eq!(numbers.next().await, None);
    }
}
